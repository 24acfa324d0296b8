"""nano's world: scenes, and how they are drawn, filmed, sounded, put into words and talked about."""
