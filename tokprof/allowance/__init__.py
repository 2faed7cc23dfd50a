"""What calls may spend: reserved before they are sent, settled when they have ended, in all the budgets around.

`tokprof.budget` is the way in; the capture layer asks by `tokprof.allowance.guard`.
"""
