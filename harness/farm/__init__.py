"""Many boards, many hosts: who may use a board, how well it is, and what is run on it at night."""
