package Registry::Manual;
use v5.36;

# README and the manual pages, as the tests read them: what stands there as an example is run.

use Exporter 'import';

our @EXPORT = qw(manual_pages manual_source manual_examples readme_section readme_examples);

my $top = $ENV{srcdir} // '.';

sub read_text ($path) {
    open my $in, '<:raw', "$top/$path" or die "cannot read $path: $!";
    local $/;
    return scalar <$in>;
}

# ".8" is the page of the program; the others are "hooks.5" and so on.
sub manual_pages () { return map { s{^.*/docker-registry-server-?}{}r } sort glob "$top/src/man/*.[1-8]" }

sub manual_source ($page) { return read_text('src/man/docker-registry-server' . ($page =~ /^\./ ? '' : '-') . $page) }

# A line of an example as a reader sees it.
sub unescape ($line) {
    my %characters = (aq => "'", ga => '`', ha => '^', ti => '~');
    return $line =~ s{\\(?:\((..)|(.))}{ defined $1 ? $characters{$1} // die "$line: \\($1" : $2 eq 'e' ? '\\' : $2 eq '&' ? '' : $2 }ger;
}

# The examples of a section, or of all of them: their lines, without line ends. With a subsection: of that one alone.
sub manual_examples ($page, $section = undef, $subsection = undef) {
    my $text = manual_source($page);
    if (defined $section) {
        ($text) = $text =~ /^\.SH "?\Q$section\E"?\n(.*?)(?=^\.SH |\z)/ms or die "$page has no section $section";
    }
    if (defined $subsection) {
        ($text) = $text =~ /^\.SS "?\Q$subsection\E"?\n(.*?)(?=^\.S[SH] |\z)/ms or die "$page has no part $subsection in $section";
    }
    return map { unescape($_) } map { split /\n/ } $text =~ /^\.EX\n(.*?)^\.EE$/msg;
}

sub readme_section ($heading) {
    my ($section) = read_text('README') =~ /^\Q$heading\E\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}\n|\z)/ms;
    return $section // die "README has no section $heading";
}

sub readme_examples ($heading) { return map { s/^    //r } grep { /^    \S| {8}/ } split /\n/, readme_section($heading) }

1;
