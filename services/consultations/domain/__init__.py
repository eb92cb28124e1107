"""What the service decides. Pure: values in, values or a refusal out."""
