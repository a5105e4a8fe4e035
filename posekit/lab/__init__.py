"""Research tools: model comparison, evaluation report, penalty explorer, penalty study and release of weights."""
