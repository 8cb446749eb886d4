"""Entry of `use: files`; what it does is `dp_foundation.builtin.files`."""

from dp_foundation.builtin import files

if __name__ == "__main__":
    files.run()
