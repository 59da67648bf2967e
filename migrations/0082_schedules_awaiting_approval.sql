-- Functions of the release before do not know the state: they neither cut nor send such a schedule,
-- and cannot show it. None is written unless ApprovalAbove or ApprovalRoles is set.
-- Compatible: schedules.status: the column gets longer, and its CHECKs accept one more state
-- Compatible: schedules.schedule_known_status: it accepts each state that schedule_status accepted
-- Compatible: schedules.schedule_uncut_before_due: it accepts each row that schedule_not_cut_before_due accepted
ALTER TABLE schedules
    MODIFY COLUMN status VARCHAR(20) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL COMMENT 'draft, awaiting-approval, scheduled, running, finished, paused, cancelled, missed',
    DROP CONSTRAINT schedule_status,
    DROP CONSTRAINT schedule_not_cut_before_due,
    ADD CONSTRAINT schedule_known_status CHECK (status IN ('draft', 'awaiting-approval', 'scheduled', 'running', 'finished', 'paused', 'cancelled', 'missed')),
    ADD CONSTRAINT schedule_uncut_before_due CHECK (status NOT IN ('draft', 'awaiting-approval', 'scheduled') OR batch_count IS NULL)
