/* CSV: small texts, what becomes of their columns, and what is refused where. */
#include <locale.h>
#include <math.h>

#include "tests/runtime/formats_test.h"

static td_table t;

static void load(const char *text, const td_file_options *o) {
    assert_loads(text, strlen(text), o, &t);
    assert_text(t.format, "csv");
}

static void assert_refused(const char *text, const td_file_options *o,
                           const char *message) {
    assert_fails(text, strlen(text), o, TD_E_FORMAT, message);
}

static void assert_categories(size_t i, const char *joined) {
    char text[500] = "";
    size_t at = 0;
    for (size_t k = 0; k < t.entry[i].categories; k++)
        at +=
            (size_t)snprintf(text + at, sizeof text - at, "%s|", t.entry[i].category[k]);
    assert_text(text, joined);
}

static void reads_columns_of_each_kind(void **state) {
    (void)state;
    assert_file_loads(DATA "people.csv", &t);
    assert_int_equal(t.count, 3);
    assert_entry(&t, 0, "age", "f32 3: 34 nan 51");
    assert_entry(&t, 1, "name", "i64 3: 0 1 2");
    assert_categories(1, "Ann|Bob|Smith, \"Jo\"|");
    assert_entry(&t, 2, "score", "f32 3: 1.5 nan -2000");
    assert_null(t.entry[0].category);
    td_table_clear(&t);
}

static void codes_do_not_depend_on_the_order_of_rows(void **state) {
    (void)state;
    load("kind\nwolf\nape\n\"\"\nwolf\nbear\nape\n", NULL);
    assert_entry(&t, 0, "kind", "i64 6: 3 1 0 3 2 1");
    assert_categories(0, "|ape|bear|wolf|");
    td_table_clear(&t);
    load("kind\nbear\nape\nape\n\"\"\nwolf\nwolf", NULL);
    assert_entry(&t, 0, "kind", "i64 6: 2 1 1 0 3 3");
    assert_categories(0, "|ape|bear|wolf|");
    td_table_clear(&t);
}

static void reads_numbers(void **state) {
    (void)state;
    td_file_options f64 = {.csv_float = TD_F64, .csv_header = TD_CSV_HEADER_NO};
    load("1,0.1,-1e-3,.5,5.,+7,1E5,inf,-Infinity,1e400,4.9e-324,"
         "123456789012345678901234567890.5,"
         "9007199254740993.0,0.30000000000000004,-0.0\n"
         "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0\n",
         &f64);
    static const double want[] = {1,
                                  0.1,
                                  -1e-3,
                                  .5,
                                  5.,
                                  7,
                                  1e5,
                                  HUGE_VAL,
                                  -HUGE_VAL,
                                  HUGE_VAL,
                                  4.9e-324,
                                  123456789012345678901234567890.5,
                                  9007199254740993.0,
                                  0.30000000000000004,
                                  -0.0};
    for (size_t i = 0; i < 15; i++) {
        td_tensor *x = t.entry[i].tensor;
        bool is_integer = i == 0 || i == 5;
        assert_int_equal(x->dtype, is_integer ? TD_I64 : TD_F64);
        double got = td_load_f64(x->dtype, td_tensor_data(x));
        assert_memory_equal(&got, &want[i], sizeof got);
    }
    td_table_clear(&t);
    load("9223372036854775807\n-9223372036854775808\n", NULL);
    assert_entry(&t, 0, "column1", "i64 2: 9223372036854775807 -9223372036854775808");
    td_table_clear(&t);
    /* too large for i64; integers that f32 would change, with a missing one; that it would not */
    load("a,b,c\n9223372036854775808,16777217,16777216\n1,NA,?\n", NULL);
    assert_entry(&t, 0, "a", "f64 2: 9.22337204e+18 1");
    assert_entry(&t, 1, "b", "f64 2: 16777217 nan");
    assert_entry(&t, 2, "c", "f32 2: 16777216 nan");
    td_table_clear(&t);
    load("a,b\n0x10,1\n1_0,2\n", NULL); /* not numbers */
    assert_categories(0, "0x10|1_0|");
    td_table_clear(&t);
}

static void knows_missing_values(void **state) {
    (void)state;
    load("x\n1\nNA\nn/a\nNaN\nnull\nNone\n?\n\n  \n2.5\n", NULL);
    assert_entry(&t, 0, "x", "f32 10: 1 nan nan nan nan nan nan nan nan 2.5");
    td_table_clear(&t);
    load("x,y\n,1\n,2\n", NULL);
    assert_entry(&t, 0, "x", "f32 2: nan nan");
    td_table_clear(&t);
    /* In a text column NA is a text: it may be Namibia. */
    load("land\nDE\nNA\n", NULL);
    assert_categories(0, "DE|NA|");
    td_table_clear(&t);
}

static void finds_the_header(void **state) {
    (void)state;
    load("1,2\n3,4\n", NULL);
    assert_entry(&t, 0, "column1", "i64 2: 1 3");
    td_table_clear(&t);
    load(",a\n0,1\n1,2", NULL); /* as pandas writes an index */
    assert_entry(&t, 0, "column1", "i64 2: 0 1");
    assert_entry(&t, 1, "a", "i64 2: 1 2");
    td_table_clear(&t);
    load("a,b\nx,y\n", NULL); /* all text: names, since they could be */
    assert_int_equal(t.entry[0].tensor->shape.dim[0], 1);
    td_table_clear(&t);
    load("x,x\nx,y\n", NULL); /* names could not be the same */
    assert_entry(&t, 1, "column2", "i64 2: 0 1");
    td_table_clear(&t);
    load("a,b\n", NULL);
    assert_entry(&t, 1, "b", "f32 0:");
    td_table_clear(&t);
    td_file_options yes = {.csv_header = TD_CSV_HEADER_YES},
                    no = {.csv_header = TD_CSV_HEADER_NO};
    load("1,2\n3,4\n", &yes);
    assert_entry(&t, 1, "2", "i64 1: 4");
    td_table_clear(&t);
    load("a,b\nx,y\n", &no);
    assert_entry(&t, 0, "column1", "i64 2: 0 1");
    td_table_clear(&t);
}

static void refuses_to_guess(void **state) {
    (void)state;
    assert_refused("id,2019\n7,1.5\n", NULL,
                   "csv: line 1 may be a header or not: 'id' stands over numbers, but "
                   "'2019' is a number");
    assert_refused("age,sex\n34,f\n35,m\nold,f\n", NULL,
                   "csv: line 4, column 1 'age': 'old' is text in a column of numbers");
    const char *const names[] = {"age"}, *const wrong[] = {"agee"};
    td_file_options text = {.csv_text = names, .csv_texts = 1};
    load("age,sex\n34,f\n35,m\nold,f\n", &text);
    assert_entry(&t, 0, "age", "i64 3: 0 1 2");
    assert_categories(0, "34|35|old|");
    td_table_clear(&t);
    text.csv_text = wrong;
    assert_fails(LITERAL("age\n1\n"), &text, TD_E_ARGUMENT,
                 "csv: no column is called 'agee'");
}

static void finds_the_separator(void **state) {
    (void)state;
    load("\xef\xbb\xbf"
         "a;b\r\n1;x,y,z\r\n2;u,v,w\r\n\r\n",
         NULL);
    assert_entry(&t, 0, "a", "i64 2: 1 2");
    assert_categories(1, "u,v,w|x,y,z|");
    td_table_clear(&t);
    load("a\tb\n1\t\n\t2\n", NULL);
    assert_entry(&t, 0, "a", "f32 2: 1 nan");
    assert_entry(&t, 1, "b", "f32 2: nan 2");
    td_table_clear(&t);
    load("a b|c\r1|2\r",
         &(td_file_options){.csv_separator = '|'}); /* and CR alone ends a line */
    assert_entry(&t, 0, "a b", "i64 1: 1");
    td_table_clear(&t);
    load("a  b\n1  2\n",
         &(td_file_options){.csv_separator = ' ', .csv_header = TD_CSV_HEADER_YES});
    assert_int_equal(t.count, 3);
    td_table_clear(&t);
    /* ragged under every separator: an error, not a column of texts */
    assert_refused("a;b;c\n1;2\n", NULL, "csv: line 2 has 2 fields, line 1 has 3");
}

static void takes_quotes_and_blanks(void **state) {
    (void)state;
    load("\"a\nb\", c ,\"\"\"q\"\"\"\r\n\"1\" , 2,\"x\r\ny\"\r\n  3,4  ,\"\"\"\"\r\n",
         NULL);
    assert_entry(&t, 0, "a\nb", "i64 2: 1 3");
    assert_entry(&t, 1, "c", "i64 2: 2 4");
    assert_text(t.entry[2].name, "\"q\"");
    assert_categories(2, "\"|x\r\ny|");
    td_table_clear(&t);
    td_file_options skip = {.csv_skip_lines = 2};
    load("# made by \"hand\nand more\na,b\n1,2\n", &skip);
    assert_entry(&t, 0, "a", "i64 1: 1");
    td_table_clear(&t);
}

static void names_line_and_column_of_faults(void **state) {
    (void)state;
    assert_refused("a,b\n1,2\n3\n", NULL, "csv: line 3 has 1 fields, line 1 has 2");
    assert_refused("a,b\n1,2\n\n3,4\n", NULL, "csv: line 3 has 1 fields, line 1 has 2");
    assert_refused("a,b\n\"x\ny\",2\n3,4,\n", NULL,
                   "csv: line 4 has 3 fields, line 1 has 2");
    assert_refused("a,b\n1,\"x\n\n", NULL, "csv: line 2: a quoted field without end");
    assert_refused("a,b\n1,x\"y\n", NULL,
                   "csv: line 2: a quote inside an unquoted field");
    assert_refused("a,b\n\"x\"y,2\n", NULL, "csv: line 2: text behind a closing quote");
    assert_refused("a,b,a\n1,2,3\n", NULL, "csv: columns 1 and 3 are both called 'a'");
    assert_refused("column2,\n1,2\n", NULL,
                   "csv: columns 1 and 2 are both called 'column2'");
    assert_refused("\n\r\n", NULL, "csv: the file has no lines");
    td_file_options csv = {.format = "csv"};
    assert_fails("", 0, &csv, TD_E_FORMAT, "csv: the file has no lines");
    assert_fails(LITERAL("a,b\n1,\0\n"), &csv, TD_E_FORMAT, "csv: line 2: a zero byte");
    assert_fails(LITERAL("a,b\n1,\"\0\"\n"), &csv, TD_E_FORMAT,
                 "csv: line 2: a zero byte");
    td_file_options two = {.max_entries = 2};
    assert_fails(LITERAL("a,b,c\n"), &two, TD_E_LIMIT, "csv: more than 2 columns");
    /* what a terminal would obey is not repeated */
    assert_refused(
        "a\n1\n\x1b[2J\xff\n", &csv,
        "csv: line 3, column 1 'a': '\\x1b[2J\\xff' is text in a column of numbers");
}

static void numbers_are_the_same_in_every_locale(void **state) {
    (void)state;
    setlocale(LC_ALL, "de_DE.UTF-8"); /* where there is one */
    load("x\n1234567890123456789.5\n", NULL);
    assert_entry(&t, 0, "x", "f32 1: 1.23456794e+18");
    td_table_clear(&t);
    setlocale(LC_ALL, "C");
}

static void reads_the_digits(void **state) {
    (void)state;
    assert_file_loads("lua/data/digits.csv.gz", &t);
    assert_int_equal(t.count, 65);
    int64_t of_class[10] = {0}, ink = 0;
    for (size_t i = 0; i < 65; i++) {
        const td_tensor *x = t.entry[i].tensor;
        assert_int_equal(x->dtype, TD_I64);
        assert_int_equal(x->shape.dim[0], 1797);
        const int64_t *v = td_tensor_data(x);
        for (int64_t k = 0; k < 1797; k++) {
            assert_in_range(v[k], 0, 16);
            if (i == 64)
                of_class[v[k]]++;
            else
                ink += v[k];
        }
    }
    static const int64_t want[] = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180};
    for (int k = 0; k < 10; k++) assert_int_equal(of_class[k], want[k]);
    assert_int_equal(ink, 561718);
    td_table_clear(&t);
}

static void survives_damage(void **state) {
    (void)state;
    static const char text[] =
        "\xef\xbb\xbf\"a\",b;c\r\n1,\"x\"\"y\"\r\n2.5e3,NA\n,\"\n\"\n";
    td_file_options o = {.format = "csv"};
    for (size_t n = 0; n < sizeof text; n++) load_exact((const uint8_t *)text, n, &o);
    survives_flips((const uint8_t *)text, sizeof text - 1, "csv");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_columns_of_each_kind),
        cmocka_unit_test(codes_do_not_depend_on_the_order_of_rows),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(knows_missing_values),
        cmocka_unit_test(finds_the_header),
        cmocka_unit_test(refuses_to_guess),
        cmocka_unit_test(finds_the_separator),
        cmocka_unit_test(takes_quotes_and_blanks),
        cmocka_unit_test(names_line_and_column_of_faults),
        cmocka_unit_test(numbers_are_the_same_in_every_locale),
        cmocka_unit_test(reads_the_digits),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
