"""The portal: sessions and pages. It asks the services over HTTP in the visitor's name and holds no domain facts."""
