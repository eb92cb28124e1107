"""Stories through the whole product, as its users live them."""
