"""Nothing is shared by all tests yet; what a folder of tests shares stands in that folder."""
