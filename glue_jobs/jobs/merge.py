"""Entry of `use: merge`; what it does is `dp_foundation.builtin.merge`."""

from dp_foundation.builtin import merge

if __name__ == "__main__":
    merge.run()
