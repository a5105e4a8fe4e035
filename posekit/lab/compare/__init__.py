"""Train several models with several seeds each, and compare their scores."""
