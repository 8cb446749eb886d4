"""Entry of `use: maintain`; what it does is `dp_foundation.builtin.maintain`."""

from dp_foundation.builtin import maintain

if __name__ == "__main__":
    maintain.run()
