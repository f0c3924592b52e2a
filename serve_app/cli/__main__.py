"""`python -m serve_app.cli`: the command `parle`, for where its script is not on the PATH."""

from serve_app.cli.main import main

if __name__ == "__main__":
    main()
