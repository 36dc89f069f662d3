"""Networks whose parameters are stacked over runs, and optimizers that keep runs apart."""
