"""What vLLM takes from Plures: students as models, and recurrent state that has a name. Nothing else imports it."""
