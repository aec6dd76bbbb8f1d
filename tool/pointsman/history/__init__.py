"""What is and was on main: targets, versions, events, times, earlier states, signatures."""
