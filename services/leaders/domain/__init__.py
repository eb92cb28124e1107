"""What the service decides. Pure: values in, values out; refusals say why not and by which article."""
