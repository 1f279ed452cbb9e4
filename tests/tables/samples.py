"""Tables exactly as each system writes them, and the people that they are about."""

from __future__ import annotations

from mograder.tables.headers import Labels
from mograder.tables.people import Key, Kind, Member

ADA = Member(
    "ada", "Ada Lovelace", "ada@example.org", ("Sec 1",), (Key(Kind.STUDENT, "00123"), Key(Kind.CANVAS, "987"))
)
BOB = Member("bob", "Bob Noyce", "bob@example.org", ("Sec 2",), (Key(Kind.STUDENT, "00456"), Key(Kind.CANVAS, "988")))
CLEO = Member("cleo@example.org", "Cleo Ng", "", (), (Key(Kind.STUDENT, "00789"),))
PEOPLE = (ADA, BOB, CLEO)
HW1 = Labels("hw1", "Homework 1")

CANVAS = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,Homework 1 (12345),HW2 (12346),"
    "Assignments Current Score,Override Score\r\n"
    "    Manual Posting,,,,,,Manual Posting,,\r\n"
    "    Points Possible,,,,,10,20,(read only),\r\n"
    '"Lovelace, Ada",987,00123,ada,Sec 1,9.50,1,95.0,\r\n'
    '"Noyce, Bob",988,00456,bob,Sec 2 and Sec 1,EX,,,\r\n'
    '"Ng, Cleo",989,00789,cleo@example.org,Sec 2,,,,\r\n'
    '"Student, Test",990,,0b5c2a,Sec 1,1.00,,,\r\n'
)

WORKSHEET = (
    "\ufeffIdentifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,"
    "Last modified (submission),Last modified (grade),Feedback comments\r\n"
    'Participant 41,"Ada Lovelace",ada@example.org,"Submitted for grading - ",9.50,10.00,Yes,'
    '"Tuesday, 10 March 2026, 8:08 PM","Wednesday, 11 March 2026, 9:00 AM","Well done,\nAda"\r\n'
    'Participant 42,"Bob Noyce",bob@example.org,"No submission - ",,10.00,Yes,-,-,\r\n'
    'Participant 43,"Cleo Ng",cleo@example.org,"No submission - ",-,10.00,Yes,-,-,\r\n'
)

WORKSHEET_GERMAN = (
    "\ufeffID,Vollständiger Name,E-Mail-Adresse,Status,Bewertung,Bestwertung,Bewertung kann geändert werden,"
    "Zuletzt geändert (Abgabe),Zuletzt geändert (Bewertung),Feedback als Kommentar\r\n"
    'Teilnehmer/in41,Ada Lovelace,ada@example.org,Zur Bewertung abgegeben,"9,50","10,00",Ja,-,-,Prima\r\n'
    'Teilnehmer/in42,Bob Noyce,bob@example.org,Keine Abgabe,,"10,00",Ja,-,-,\r\n'
)

GRADEBOOK = (
    "First name,Last name,ID number,Institution,Department,Email address,Assignment: Homework 1 (Real),"
    "Assignment: Homework 1 (Percentage),Assignment: Homework 1 (Feedback),Quiz: Homework 2 (Real),"
    "Course total (Real),Last downloaded from this course\n"
    "Ada,Lovelace,00123,,,ada@example.org,9.50,95.00 %,Good,1.00,10.50,1773144000\n"
    "Bob,Noyce,00456,,,bob@example.org,-,-,,-,-,1773144000\n"
)

GRADESCOPE = (
    "First Name,Last Name,SID,Email,Sections,Total Score,Max Points,Status,Submission ID,Submission Time,"
    "Lateness (H:M:S),View Count,Submission Count,1: Mean (5.0 pts),2: Median (5.0 pts)\n"
    "Ada,Lovelace,00123,ada@example.org,Sec 1,9.5,10.0,Graded,31,2026-03-10 20:08:00 +0000,00:00:00,1,1,5.0,4.5\n"
    "Bob,Noyce,00456,bob@example.org,Sec 2,,10.0,Missing,,,,,,,\n"
)

GRADESCOPE_COURSE = (
    "First Name,Last Name,SID,Email,Sections,Homework 1,Homework 1 - Max Points,Homework 1 - Submission Time,"
    "Homework 1 - Lateness (H:M:S),HW2,HW2 - Max Points,HW2 - Submission Time,HW2 - Lateness (H:M:S),"
    "Total Lateness (H:M:S)\n"
    "Ada,Lovelace,00123,ada@example.org,,9.5,10.0,2026-03-10 20:08:00 +0000,00:00:00,3,20.0,,,00:00:00\n"
    "Bob,Noyce,00456,bob@example.org,,,10.0,,,,20.0,,,\n"
)

NBGRADER = (
    "assignment,duedate,timestamp,student_id,last_name,first_name,email,raw_score,late_submission_penalty,score,"
    "max_score\n"
    "hw1,,2026-03-10 20:08:00,ada,Lovelace, Countess,Ada,ada@example.org,9.5,0.0,9.5,10.0\n"
    "hw1,,,bob,Noyce,Bob,bob@example.org,0.0,0.0,0.0,10.0\n"
    "hw2,,,ada,Lovelace,Ada,ada@example.org,1.0,0.0,1.0,10.0\n"
)

FEEDBACK_CSV = "student,mark,auto_mark,feedback,penalty_pct,penalised_mark\nada,9.5,9,Good,5,9.03\nbob,,,,,\n"
AUTOGRADE_CSV = (
    "notebook,Q1,Q2,cell_errors,export_error,auto_mark,tampered\nada.py,PASS,PARTIAL,0,,9.5,\nbob.py,---,FAIL,,,,\n"
)

OURS = (
    "username,name,section,email,student_id,grade,feedback\n"
    "ada,Ada Lovelace,Sec 1,ada@example.org,00123,9.5,Good\nbob,,,,,,\n"
)

GITHUB_CLASSROOM = (
    '"identifier","github_username","github_id","name"\n"alice@example.org","aliceg","123",""\n"Bo Z","boz","124",""\n'
)
AUTOLAB = (
    "Semester,email,last_name,first_name,school,major,year,grading_policy,courseNumber,courseLecture,section\n"
    "f26,ada@example.org,Lovelace,Ada,CIT,ECE,2,L,18213,1,A\n"
)
CLASSROOM50 = (
    "username,first_name,last_name,email,section,github_id,role\nada,Ada,Lovelace,ada@example.org,A,77,student\n"
    "tom,Tom,Thumb,tom@example.org,A,78,instructor\n"
)
NGSHARE = "student_id,first_name,last_name,email\nada,Ada,Lovelace,ada@example.org\n"
MOODLE_PARTICIPANTS = 'First name,Last name,Email address,Groups\nAda,Lovelace,ada@example.org,"Sec 1, Sec 2"\n'
