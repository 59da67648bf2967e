ALTER TABLE webhook_deliveries
    ADD KEY next_of_webhook (webhook_id, due_at)
