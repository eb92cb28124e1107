"""What every page of the portal stands on."""
