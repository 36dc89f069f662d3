"""The atlas: a static site with a page for each choice in a policy gradient."""
