// TOML as a flat map, with places in its errors.
#include "src/base/config.hpp"

#include <doctest/doctest.h>

#include "src/base/file.hpp"
#include "tests/unit/base/temp_dir.hpp"

using namespace rexec;

TEST_CASE("config: tables become dotted keys with their lines") {
  const Result<ConfigMap> map = parse_config(
      "name = 'x'\n[contexts.prod]\nca = \"/a\\tb\"\nport = 7443\non = true\nw = 1.5\n"
      "hosts = ['a', 'b']\n",
      "c.toml");
  REQUIRE(map);
  CHECK(std::get<std::string>(map->at("name").value) == "x");
  CHECK(std::get<std::string>(map->at("contexts.prod.ca").value) == "/a\tb");
  CHECK(std::get<std::int64_t>(map->at("contexts.prod.port").value) == 7443);
  CHECK(std::get<bool>(map->at("contexts.prod.on").value));
  CHECK(std::get<double>(map->at("contexts.prod.w").value) == 1.5);
  CHECK(std::get<std::vector<std::string>>(map->at("contexts.prod.hosts").value) ==
        std::vector<std::string>{"a", "b"});
  CHECK(map->at("contexts.prod.port").line == 4);
  CHECK(parse_config("", "c.toml").value().empty());
}

TEST_CASE("config: a value that is written is read as the same") {
  for (const ConfigValue& value : {ConfigValue("a \"b\"\n"), ConfigValue(std::int64_t{-5}),
                                   ConfigValue(true), ConfigValue(false), ConfigValue(1.0),
                                   ConfigValue(-2.5e30), ConfigValue(std::vector<std::string>{}),
                                   ConfigValue(std::vector<std::string>{"a,]", "\\"})}) {
    CAPTURE(toml_value(value));
    CHECK(parse_config("k = " + toml_value(value), "c.toml").value().at("k").value == value);
  }
}

TEST_CASE("config: an error says file, line, column and why") {
  const Result<ConfigMap> map = parse_config("a = 1\nb = = 2\n", "c.toml");
  REQUIRE_FALSE(map);
  CHECK(map.error().code == Code::kConfig);
  CHECK(map.error().message.starts_with("c.toml:2:5: "));
  CHECK(map.error().hint.find("key = \"text\"") != std::string::npos);
}

TEST_CASE("config: dates and arrays of other things are refused with their place") {
  const Result<ConfigMap> date = parse_config("d = 2026-01-01\n", "c.toml");
  CHECK(date.error().message.starts_with("c.toml:1:5: d is a date"));
  const Result<ConfigMap> list = parse_config("a = ['x', 1]\n", "c.toml");
  CHECK(list.error().message.starts_with("c.toml:1:11: a may hold strings only"));
  CHECK(list.error().hint == "write each in quotes: a = [\"…\", \"…\"]");
}

TEST_CASE("config: hostile text is refused, not crashed on") {
  CHECK_FALSE(parse_config(std::string((1 << 20) + 1, ' '), "c.toml"));
  CHECK_FALSE(parse_config("a = " + std::string(100'000, '['), "c.toml"));
  CHECK_FALSE(parse_config(std::string(100'000, '['), "c.toml"));
  CHECK_FALSE(parse_config("a = \"\xff\"", "c.toml"));
  CHECK_FALSE(parse_config("\xc4\xa4H", "c.toml"));
  CHECK_FALSE(parse_config("größe = 1\nname = größe", "c.toml"));
  CHECK_FALSE(parse_config(std::string("a\0b = 1", 7), "c.toml"));
  std::string deep;
  for (int i = 0; i < 50'000; ++i) deep += "a.";
  (void)parse_config(deep + "a = 1", "c.toml");  // either answer; it must return
}

TEST_CASE("config: an unknown key is an error with its line and a suggestion") {
  const std::vector<std::string> allowed{"name", "contexts.*.ca"};
  const ConfigMap good = parse_config("name='x'\ncontexts.p.ca='y'\n", "c.toml").value();
  CHECK(check_keys(good, "c.toml", allowed));
  const ConfigMap bad = parse_config("name='x'\n\ncontexts.p.cs='y'\n", "c.toml").value();
  const Result<void> checked = check_keys(bad, "c.toml", allowed);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().message == "c.toml:3: unknown key \"contexts.p.cs\"");
  CHECK(checked.error().hint == "did you mean: contexts.p.ca?");
}

TEST_CASE("config: a missing file is an io error, a present one is read") {
  const TempDir dir;
  CHECK(read_config(dir / "none.toml").error().code == Code::kIo);
  REQUIRE(write_file(dir / "c.toml", "a = 1\n", 0644));
  CHECK(read_config(dir / "c.toml").value().size() == 1);
}

TEST_CASE("config: a quoted string reads back as it was") {
  for (const std::string& text : {std::string("plain"), std::string("q\"uo\\te"),
                                  std::string("\x01\x1f\x7f\n\t"), std::string("größe")}) {
    const Result<ConfigMap> map = parse_config("a = " + toml_quote(text), "c.toml");
    REQUIRE(map);
    CHECK(std::get<std::string>(map->at("a").value) == text);
  }
}

TEST_CASE(
    "config: a duration and a size are read as people write them, and errors name the place") {
  const auto map = parse_config("d = \"90s\"\ns = \"2MiB\"\nn = 512\nbad = true\n", "c.toml");
  REQUIRE(map);
  CHECK(duration_under(*map, "d", "c.toml").value() == Millis{90'000});
  CHECK(size_under(*map, "s", "c.toml", 1).value() == std::uint64_t{2} << 20);
  CHECK(size_under(*map, "n", "c.toml", 512).value() == 512U);
  CHECK_FALSE(duration_under(*map, "none", "c.toml").value());
  CHECK_FALSE(size_under(*map, "none", "c.toml", 1).value());
  CHECK_FALSE(text_under(*map, "none", "c.toml").value());
  CHECK_FALSE(list_under(*map, "none", "c.toml").value());
  CHECK(duration_under(*map, "s", "c.toml").error().message ==
        "c.toml:2: s: \"2MiB\" is not a duration");
  CHECK(size_under(*map, "d", "c.toml", 1).error().message ==
        "c.toml:1: d: \"90s\" is no amount");
}

TEST_CASE("config: a value of another type is shown, with what to write instead") {
  const auto map = parse_config(
      "d = 30\nr = 1.5\nb = true\nl = [\"x\"]\nt = \"h:1\"\n", "c.toml");
  REQUIRE(map);
  const auto number = duration_under(*map, "d", "c.toml");
  REQUIRE_FALSE(number);
  CHECK(number.error().code == Code::kConfig);
  CHECK(number.error().message == "c.toml:1: d is 30, and not a string");
  CHECK(number.error().hint == "write it with its unit, in quotes: d = \"30s\"");
  const auto real = size_under(*map, "r", "c.toml", 1);
  CHECK(real.error().message == "c.toml:2: r is 1.5, and neither a string nor a whole number");
  CHECK(real.error().hint == "write a size in quotes: r = \"512M\"");
  const auto flag = text_under(*map, "b", "c.toml");
  CHECK(flag.error().message == "c.toml:3: b is true, and not a string");
  CHECK(flag.error().hint == "write it in quotes: b = \"true\"");
  CHECK(text_under(*map, "l", "c.toml").error().hint == "write one string: l = \"…\"");
  CHECK(duration_under(*map, "l", "c.toml").error().message ==
        "c.toml:4: l is [\"x\"], and not a string");
  const auto text = list_under(*map, "t", "c.toml");
  CHECK(text.error().message == "c.toml:5: t is \"h:1\", and not a list of strings");
  CHECK(text.error().hint == "write it in brackets: t = [\"h:1\"]");
  CHECK(list_under(*map, "d", "c.toml").error().hint == "write: d = [\"…\"]");
}

TEST_CASE("config: a size below the least is refused, because its unit was forgotten") {
  const auto map = parse_config("s = \"10\"\nn = 10\ne = \"1M\"\n", "c.toml");
  REQUIRE(map);
  for (const char* key : {"s", "n"}) {
    const auto size = size_under(*map, key, "c.toml", 1 << 20);
    REQUIRE_FALSE(size);
    CHECK(size.error().message.ends_with("10 is less than 1.0 MiB, the least"));
    CHECK(size.error().hint.find("a number alone is bytes") != std::string::npos);
  }
  CHECK(size_under(*map, "e", "c.toml", 1 << 20).value() == 1U << 20);
}
