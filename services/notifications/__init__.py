"""One notice for each event and recipient: in the portal's inbox and by mail."""
