"""The web pages: static files alone, no Python. `app.face` has them served, from here unless `pages` says otherwise."""
