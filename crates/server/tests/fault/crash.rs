//! What was acknowledged survives: kills at random moments, under load, on a disk that forgets what was not synced.

mod beside;
mod check;
mod codes;
mod guesses;
mod kills;
mod planted;
mod stop;
mod storm;
