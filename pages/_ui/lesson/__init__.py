"""The pages *Lessons* and *Lesson*: predict, measure, compare with what a paper says."""
