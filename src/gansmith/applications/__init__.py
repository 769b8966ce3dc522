"""What people use GANs for, in the conventions of each field."""
