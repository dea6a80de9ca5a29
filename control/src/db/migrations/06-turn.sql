-- How a camera's picture is set upright, after what its stream asks for.

ALTER TABLE cameras ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;      -- degrees clockwise: 0, 90, 180 or 270
ALTER TABLE cameras ADD COLUMN flip TEXT NOT NULL DEFAULT 'none';    -- then: 'none', 'horizontal' or 'vertical'
