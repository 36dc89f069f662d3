"""Single episodes to be looked at: played step by step, drawn, filmed."""
