#!/usr/bin/perl
# Functions far beyond 60 lines and files far beyond 500 are decisions, and stand here by name.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

my $function_max = 100;
my $file_max     = 700;
my %decided;    # 'src/...: name' => 1

my (@long_files, @long_functions, $functions);
for my $file ((sources(), files('tests/unit/*.c'))) {
    my @lines = split /\n/, code($file);
    push @long_files, "$file: " . @lines if @lines > $file_max && !$decided{$file};

    # By our layout: the name at the start of a line, the body's braces alone in column 0.
    my ($name, $start);
    for my $i (0 .. $#lines) {
        if    ($lines[$i] =~ /^(\w+)\(/) { $name = $1 }
        elsif ($lines[$i] eq '{')        { $start = $i }
        elsif ($lines[$i] eq '}' && defined $start) {
            $functions++;
            my $n = $i - $start + 1;
            push @long_functions, "$file: $name: $n" if $n > $function_max && !$decided{"$file: $name"};
            undef $start;
        }
    }
}
cmp_ok($functions // 0, '>', 50, 'functions are found');
none(\@long_functions, "no function is longer than $function_max lines");
none(\@long_files, "no file is longer than $file_max lines");
done_testing();
