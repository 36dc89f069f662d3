"""Workers on other machines: how they are started, dial in and are kept track of."""
