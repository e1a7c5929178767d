"""Print README.md as a package index shows it, where no relative link leads anywhere: addresses of the repository."""

from owner import CHECKOUT, with_addresses

if __name__ == "__main__":
    print(with_addresses(CHECKOUT / "README.md"), end="")
