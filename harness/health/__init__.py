"""How well boards are: checks, rules, and which boards are out of use."""
