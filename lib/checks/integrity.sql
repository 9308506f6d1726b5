-- What SQLite finds wrong with the file, and rows that refer to none
SELECT quick_check AS problem FROM pragma_quick_check WHERE quick_check <> 'ok'
UNION ALL
SELECT "table" || ': row ' || rowid || ' refers to no ' || parent FROM pragma_foreign_key_check;
