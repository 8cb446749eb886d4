"""Entry of a source of the shape `jdbc`; what it does is `dp_foundation.builtin.jdbc`."""

from dp_foundation.builtin import jdbc

if __name__ == "__main__":
    jdbc.run()
