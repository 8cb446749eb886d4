"""Entry of a source of the shape `kafka`; what it does is `dp_foundation.builtin.kafka`."""

from dp_foundation.builtin import kafka

if __name__ == "__main__":
    kafka.run()
