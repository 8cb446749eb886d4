"""Reading and writing tables by the names that the manifest or the catalog gives them."""
