"""What somebody will ask next: learned from the request log, made before it is asked.

    transitions  the model: how likely each action is after each other one
    evaluation   what it would have hit and wasted on a log, pattern by pattern
    click_log    a log with known probabilities, to learn from and to be checked against
    wishes       the running backend: an answer is asked for, its likely successors are wanted

A pattern is one step, such as `deployment-summary > incident-timeline`. What is made because of one
belongs to the session that it is for, and lives for five minutes.

`python -m origin.followup train|evaluate|make-log`
"""
