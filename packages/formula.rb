# What Homebrew does with a formula, as far as this one asks: ruby packages/formula.rb FORMULA UNPACKED installs what is unpacked there into
# a directory of its own and runs the formula's test. There is no Homebrew where this is checked.
require "fileutils"
require "tmpdir"

class Formula
  class << self
    attr_reader :said, :proof

    %w[desc homepage version license url sha256].each do |word|
      define_method(word) { |value| ((@said ||= {})[word] ||= []) << value }
    end

    def depends_on(what) = what == :linux || raise("unknown: #{what}")
    def on_intel = yield
    def on_arm = yield
    def test(&proof) = @proof = proof
  end

  def initialize(prefix) = @prefix = prefix
  def version = self.class.said["version"].first
  def bin = Folder.new("#{@prefix}/bin")
  def man1 = Folder.new("#{@prefix}/share/man/man1")
  def pkgshare = Folder.new("#{@prefix}/share/coldbolt")
  def bash_completion = Folder.new("#{@prefix}/etc/bash_completion.d")
  def zsh_completion = Folder.new("#{@prefix}/share/zsh/site-functions")
  def fish_completion = Folder.new("#{@prefix}/share/fish/vendor_completions.d")

  def assert_match(due, text) = text.include?(due) || raise("#{due.inspect} is not in #{text}")

  def shell_output(command, code = 0)
    text = `#{command}`
    $?.exitstatus == code or raise("#{command}: exit code #{$?.exitstatus}, not #{code}: #{text}")
    text
  end

  class Folder
    def initialize(path) = @path = path
    def to_s = @path

    def install(*files)
      files = files.flatten
      raise "nothing for #{@path}" if files.empty?
      FileUtils.mkdir_p(@path)
      FileUtils.cp_r(files, @path)
    end
  end
end

formula, unpacked = ARGV
load File.expand_path(formula)
said = Coldbolt.said
raise "not filled in: #{said}" if said.values.flatten.any? { |value| value.empty? || value.include?("@") }
raise "urls and digests: #{said}" unless said["url"].size == said["sha256"].size && said["sha256"].all?(/\A\h{64}\z/)
Dir.mktmpdir do |prefix|
  Dir.chdir(unpacked) { Coldbolt.new(prefix).install }
  Coldbolt.new(prefix).instance_eval(&Coldbolt.proof)
  puts "the formula installs #{Dir.glob("#{prefix}/**/*").count { |path| File.file?(path) }} files, and its test passes"
end
