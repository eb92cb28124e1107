"""What the tests stand on: backing services and the browser, started as the machine allows."""
