"""The data that ships with the origin: five JSON files, and `make_data`, which writes them."""
