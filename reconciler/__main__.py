"""`python -m reconciler` is `reconcile`, for machines where the script is not on the PATH."""

from reconciler.cli import program

if __name__ == "__main__":
    program()
