"""Scheduled retraining: a CronJob whose firings are runs of their own.

`cronline` knows when a schedule fires, `model` what a schedule is; `creating`, `updating`, `triggering`,
`controlling` and `history` are the verbs of ``launcher cron`` as functions that return data.
"""
