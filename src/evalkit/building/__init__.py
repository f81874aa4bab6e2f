"""Tables to panels, flows and samples: histories of establishments, exits, moves, known breaks of a source."""
