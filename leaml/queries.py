"""The columns of the store's tables, in the order of the records' fields, and its longest query."""

IMAGE = "image_id, name, path, image_group, split, width, height"
CAPTION = "image_id, text, teacher, prompt"
PAIR = "image_id, question, options, answer, type_id"
CANDIDATE = (
    "candidate_id, image_id, question, options, answer, type_id, "
    "log_probability, agreement, option_probabilities, run_id, round"
)
PREDICTION = "image_id, type_id, question, options, reference, answer, correct, option_probabilities"

OF_SPLIT = "($split IS NULL OR image_id IN (SELECT image_id FROM images WHERE split = $split))"

REVIEW_QUEUE = f"""
WITH skips AS (
    SELECT candidate_id, max(event_id) AS event_id FROM standing_review_events
    WHERE action = 'skip' AND ($author IS NULL OR author = $author) GROUP BY candidate_id
), returned AS (
    SELECT candidate_id, event_id FROM review_events WHERE $author IS NULL OR author = $author
    QUALIFY row_number() OVER (PARTITION BY candidate_id ORDER BY event_id DESC) = 1 AND action = 'undo'
)
SELECT {CANDIDATE} FROM latest_candidates
JOIN review_turns USING (candidate_id)
LEFT JOIN skips USING (candidate_id)
LEFT JOIN returned USING (candidate_id)
WHERE candidate_id NOT IN (SELECT candidate_id FROM current_reviews WHERE action <> 'skip')
ORDER BY returned.event_id DESC NULLS LAST, skips.event_id ASC NULLS FIRST, turn, type_key, candidate_id
LIMIT $limit
"""
