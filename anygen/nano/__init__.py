"""nano: the small any-to-any system that ships inside the package, its world and its training."""
