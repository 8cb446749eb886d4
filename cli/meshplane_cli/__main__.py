"""`python -m meshplane_cli`: what `./dev meshplane` runs."""

from meshplane_cli.main import run

if __name__ == "__main__":
    run()
