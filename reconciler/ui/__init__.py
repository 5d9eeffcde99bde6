"""The web pages: static files alone, no Python. `app.face` has them served; where they are is its default for `pages`."""
