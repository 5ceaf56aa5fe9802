"""How far a study is: the state of its jobs, what is left of them, and how long that takes."""
