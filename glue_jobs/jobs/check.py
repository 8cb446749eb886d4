"""Entry of `use: check`; what it does is `dp_foundation.builtin.check`."""

from dp_foundation.builtin import check

if __name__ == "__main__":
    check.run()
